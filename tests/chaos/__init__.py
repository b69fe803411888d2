"""The benchmark under attack: ``make chaos`` runs every part in full, tests/test_chaos.py a short form of each.

One file is one part. Its ``attack(*, short, seed, folder)`` returns a list of ``outcomes.Outcome``, one for each kind of fault.
"""
