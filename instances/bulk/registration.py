"""What bulk jobs add to the core: admin pages, a console panel, periodic work."""

from instances.bulk.admin import jobs as _pages  # noqa: F401 - registers the pages
from instances.bulk.admin.panel import PANEL
from instances.bulk.tasks import recover_and_enqueue
from instances.pages.console_panels import register_console_panel
from instances.taskqueue.periodic import PeriodicWork, register_periodic_work


def register() -> None:
    """Register all of it, once, when the app is ready."""
    register_console_panel(PANEL)
    register_periodic_work(PeriodicWork(recover_and_enqueue))
