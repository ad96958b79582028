"""What is known of a class once and for all, so that an instance can be shown by asking for it once."""

from __future__ import annotations

from . import statics
from .builtin_values import builtin_base
from .foreign import is_array, may_be_known

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional


class Kind:
    """`base` is the built-in type that the class derives from, or None; `foreign` tells that `foreign.py` may
    know it, `array` that it takes time to describe such a one; `named` that its qualified name is one object
    for as long as nobody gives it another."""

    __slots__ = ("array", "base", "foreign", "named", "owners", "slots")

    def __init__(self, cls: type) -> None:
        self.base: Any = builtin_base(cls)
        self.foreign: bool = may_be_known(cls)
        self.array = self.foreign and is_array(cls)
        self.named = statics.is_made(cls)
        self.owners = statics.dict_owners(cls)
        self.slots = statics.slot_names(cls)

    def dict_of(self, obj: Any) -> "Optional[Dict[str, Any]]":
        """The instance dictionary of one of its instances, as `statics.instance_dict` finds it."""
        return statics.dict_by(obj, self.owners) if self.owners else None


kind_of = statics.PerClass(Kind).of
