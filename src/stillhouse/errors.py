"""The error tree. Each leaf knows the exit code that a command ends with.

StillhouseError          4  failed
├── ConfigError          2  the recipe, the command line or the data must be changed first
│   ├── RecipeError         unknown key or value, a file that cannot be read as a recipe
│   ├── DataError           a malformed or empty input file (which line, why)
│   ├── ModelError          a model that is missing or cannot play its role
│   └── RunError            a run folder in use, from another recipe, or not writable
├── Resumable            3  stopped, nothing lost: the same command goes on
│   ├── Interrupted         Ctrl+C or SIGTERM
│   └── StorageError        a full disk or a file-size limit
└── TrainingError        4  a loss or gradient that is not finite
"""


class StillhouseError(Exception):
    """Whatever ends a command on purpose: one sentence that says what was found, where, and what to do."""

    exit_code = 4


class ConfigError(StillhouseError):
    exit_code = 2


class RecipeError(ConfigError):
    pass


class DataError(ConfigError):
    pass


class ModelError(ConfigError):
    pass


class RunError(ConfigError):
    pass


class Resumable(StillhouseError):
    exit_code = 3


class Interrupted(Resumable):
    pass


class StorageError(Resumable):
    pass


class TrainingError(StillhouseError):
    pass
