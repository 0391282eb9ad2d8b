"""What can go wrong, as types; each type carries the exit code of the command line.

A message says what is wrong, where, what was expected and what to do. It never carries a patient's identifier or a date
of a patient. The room imports nothing of the product, so that every room can raise from it.
"""

from __future__ import annotations


class HrrpError(Exception):
    """Base of every error that the product raises on purpose.

    `exit_code` is what the command line returns. Anything that is not an `HrrpError` is an unexpected failure (1).
    """

    exit_code = 1


class UsageError(HrrpError):
    """The command was called in a way that makes no sense."""

    exit_code = 2


class InputContractError(HrrpError):
    """An input breaks its contract: columns, types, encoding, too many rejected rows, a truncated file."""

    exit_code = 10


class RulesMissingError(HrrpError):
    """No rule and no stand-in for the program year that was asked for."""

    exit_code = 11


class ReportFormatError(HrrpError):
    """A CMS file or Hospital-Specific Report has a layout that is not understood."""

    exit_code = 12


class ReplicationError(HrrpError):
    """The recomputed figures differ from the published ones."""

    exit_code = 13


class ConvergenceError(HrrpError):
    """The hierarchical model did not converge."""

    exit_code = 14


class QualityError(HrrpError):
    """A blocking quality check failed."""

    exit_code = 15
