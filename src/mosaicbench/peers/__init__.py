"""Packages of other people, wrapped as methods; no benchmark needs them."""
