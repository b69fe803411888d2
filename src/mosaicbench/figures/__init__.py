"""One file per figure: tables in, a drawing and the numbers that it shows out."""
