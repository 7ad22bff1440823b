"""What a run would load and need, told before anything is loaded."""

from stillhouse.doctor.diagnose import diagnose_recipe
from stillhouse.doctor.findings import Finding, Report

__all__ = ["Finding", "Report", "diagnose_recipe"]
