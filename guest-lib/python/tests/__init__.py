"""Tests of the Python library; `python3 -m unittest` in the directory above runs them."""
