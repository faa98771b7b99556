"""What the course stands on: the pictures of notebooks, things to point at, exercises, labs, the check of an
installation."""
