"""Metrics, a file for each question: arrays in, a float out."""
