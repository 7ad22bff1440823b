"""Settings worth trying and an independent NumPy oracle for every objective outside the plain divergences.

A family is a module of this folder with SETTINGS (objective -> settings to try) and ORACLES (objective -> function of
whole float64 arrays in the objective's own order, and its settings).
"""

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

FAMILIES: tuple[ModuleType, ...] = tuple(import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__))
