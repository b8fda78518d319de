"""Stepping: a backward, operation by operation, with the rule of each, as text and as a film."""
