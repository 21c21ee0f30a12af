"""Wire shapes: what a struct looks like in one version, as a value that can be compared.

An array whose elements have one shape in several parents (the partitions of Fetch stay as they
are while its topics change) is read and written by one function that the parents share; any other
is inlined where it stands.
"""

from collections.abc import Hashable

from codegen.resolved import Field, Message, Struct

Shape = Hashable


def shape(message: Message, struct: Struct, version: int) -> Shape:
    """Everything that decides the code of `struct` in a version."""
    flexible = version in message.flexible
    return (
        struct.name,
        flexible,
        tuple(_field_shape(message, each, version, flexible=flexible) for each in struct.fields),
    )


def _field_shape(message: Message, each: Field, version: int, *, flexible: bool) -> Shape:
    if version not in each.versions:
        return None
    return (
        version in each.tagged,
        version in each.nullable,
        flexible and version not in each.inflexible,
        None if each.struct is None else shape(message, each.struct, version),
    )


def shared_element_shapes(message: Message) -> set[Shape]:
    """Shapes of array elements that appear in more than one parent."""
    parents: dict[Shape, set[Shape]] = {}

    def walk(struct: Struct, version: int) -> None:
        for each in struct.fields:
            if each.struct is None or version not in each.versions:
                continue
            if each.type.is_array:
                parent = (shape(message, struct, version), each.spec_name)
                parents.setdefault(shape(message, each.struct, version), set()).add(parent)
            walk(each.struct, version)

    for version in sorted(message.versions):
        walk(message.root, version)
    return {element for element, found in parents.items() if len(found) > 1}
