"""Python source of defaults and attribute types of the generated classes."""

from codegen.field_type import PYTHON_TYPES
from codegen.model import NULL_DEFAULT
from codegen.module_source import ModuleSource, default_name, is_optional, shares_default
from codegen.resolved import Field, Message


def type_source(module: ModuleSource, message: Message, each: Field) -> str:
    """The attribute's type."""
    if each.struct is not None:
        element = module.class_name(message, each.struct)
    else:
        element = PYTHON_TYPES[each.type.element]
    if each.type.element == "records":
        module.use("datacore.wire.buffer", "Buffer")
        return element
    source = f"list[{element}]" if each.type.is_array else element
    return f"{source} | None" if is_optional(each) else source


def default_source(module: ModuleSource, message: Message, each: Field) -> str:
    """The spec's default, made anew where it could be changed in place."""
    if each.default == NULL_DEFAULT and is_optional(each):
        return "None"
    if each.type.is_array:
        return "[]"
    if each.struct is not None:
        class_name = module.class_name(message, each.struct)
        return default_name(class_name) if shares_default(each.struct) else f"{class_name}()"
    if each.type.element == "records":
        return "None"
    if each.default is not None:
        return repr(each.default)
    if each.type.element == "uuid":
        module.use("datacore.wire.message", "ZERO_UUID")
        return "ZERO_UUID"
    return {"bool": "False", "float64": "0.0", "string": '""', "bytes": 'b""'}.get(
        each.type.element, "0"
    )


def is_fresh(source: str) -> bool:
    """Whether a default has to be made anew for each object."""
    return source == "[]" or source.endswith("()")


def not_default_source(module: ModuleSource, message: Message, each: Field, value: str) -> str:
    """The condition under which a field holds something else than its default."""
    default = default_source(module, message, each)
    if default == "None":
        return f"{value} is not None"
    if default in ("[]", 'b""', '""'):
        return f"({value} is None or {value})" if is_optional(each) else value
    if default in ("False", "True"):
        return value if default == "False" else f"not {value}"
    if default.startswith("_DEFAULT"):
        return f"({value} is not {default} and {value} != {default})"
    return f"{value} != {default}"
