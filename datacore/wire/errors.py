"""What can be wrong with bytes, or with what should become bytes."""


class DecodeError(ValueError):
    """The bytes are not what they claim to be: cut short, a bad length, bad UTF-8."""


class EncodeError(ValueError):
    """The message cannot be said in that version: a value out of range, or a field it lacks."""


def null_field(field: str) -> DecodeError:
    """The error for a null where `field` cannot be null."""
    return DecodeError(f"{field} is null")


def bad_count(field: str, count: int, remaining: int) -> DecodeError:
    """The error for an array of `count` elements that `remaining` bytes cannot hold."""
    if count < 0:
        return null_field(field)
    return DecodeError(f"{field} claims {count} elements in {remaining} bytes")


def tag_overrun(field: str) -> DecodeError:
    """The error for a tagged field that does not end where its size says."""
    return DecodeError(f"{field} does not fit the size of its tag")


def null_value(field: str) -> EncodeError:
    """The error for None in `field` where the version has no null."""
    return EncodeError(f"{field} is None, this version has no null for it")


def absent_field(field: str) -> EncodeError:
    """The error for a value in `field` that the version would lose."""
    return EncodeError(f"{field} is set, this version does not have it")
