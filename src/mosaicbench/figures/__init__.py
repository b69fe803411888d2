"""One file per figure: a function of that name takes tables and returns a picture and its numbers.

Its parameters are the tables that its card lists under `needs` (the rows of one split if the card
says ``"per": "split"``), and the theme. If there is nothing to draw, the figure says why and the
table is empty.
"""
