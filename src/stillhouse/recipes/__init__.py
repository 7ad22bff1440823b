"""Published systems as small files, and how such a file becomes a `Recipe`."""

from stillhouse.recipes.files import dump, load, names, path_of, read

__all__ = ["dump", "load", "names", "path_of", "read"]
