"""Budgets: what may be bounded, the search for the largest size within, what is kept of measurements."""
