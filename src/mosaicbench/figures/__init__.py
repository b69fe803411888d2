"""One file per figure, which is a function named like its file: tables in, a picture and the numbers that it shows out.

Its parameters are the tables that its card lists under `needs`, by name: those of ``report.tables.contract.TABLES`` and of
``report.projections``, with the rows of one split where the card says ``"per": "split"``, else with all rows. The last one,
`theme`, gives labels, colours and order. It returns a ``matplotlib.figure.Figure`` and the table of what is drawn, which is
written beside the picture. Where there is nothing to draw, the figure says why and the table is empty.
"""
