"""The demo's data set, which is generated on first use."""

from typing import Any

from mmengine.registry import DATASETS

from .cityscapes import CityscapesCities
from .street_scenes import DemoSpec, make_demo_set

__all__ = ["DemoCityscapes"]


@DATASETS.register_module()
class DemoCityscapes(CityscapesCities):
    """Synthetic street scenes in the Cityscapes layout, generated in ``data_root`` if missing.

    Args:
        data_root: Folder of the demo data.
        demo: Options of ``DemoSpec``; the same for all splits in one ``data_root``.
        **kwargs: Arguments of ``CityscapesCities``.

    Raises:
        ValueError: If the folder holds something else, or a set with other options.
    """

    DATA_NAME = "demo"

    def __init__(self, data_root: str, demo: dict[str, Any] | None = None, **kwargs: Any) -> None:
        self.demo_spec = DemoSpec.from_options(**(demo or {}))
        super().__init__(data_root=data_root, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Make the scenes if they are not there, then list them."""
        make_demo_set(self.data_root, self.demo_spec)
        return super().load_data_list()
