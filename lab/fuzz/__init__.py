"""Hostile input, made and measured: what holds a worker, and what fills its memory."""
