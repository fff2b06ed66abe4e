"""The one exception for what a user can mend: bad input, said in one line."""


class InputError(ValueError):
    """Input that cannot be used: the message names it, says what was expected and what to do."""
