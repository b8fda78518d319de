"""What the page of a film is made of: film.py puts it together."""
