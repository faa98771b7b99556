"""Reading and writing files: films, pictures, downloads; atomically, one process at a time."""
