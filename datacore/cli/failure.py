"""Errors as people read them: one sentence, what to do next, and the exit status."""

import click


class Failure(click.ClickException):
    """Something of the cluster or the machine stands in the way."""

    exit_code = 1


class Mistake(click.ClickException):
    """An argument or the configuration is not usable; no usage line, for the sentence says it."""

    exit_code = 2
