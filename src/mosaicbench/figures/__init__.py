"""One file per figure: a function of that name takes tables and returns a picture and its numbers.

Its parameters are the tables that its card lists under `needs`, those of
``report.tables.contract.TABLES`` and of ``report.projections``: the rows of one split if the card
says ``"per": "split"``, else all rows. The last parameter, `theme`, gives labels, colours and
order. The function returns a ``matplotlib.figure.Figure`` and the table of what is drawn, which is
written beside the picture. If there is nothing to draw, the figure says why and the table is empty.
"""
