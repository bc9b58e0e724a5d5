"""Bodies and answers of saved views."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from headgate.access.views import LONGEST_NAME, LONGEST_QUERY, Place
from headgate.doors.api.models import Text, taken

_VIEW: dict[str, Any] = {
    "place": "audit",
    "name": "Policies of late",
    "query": "action:policy since:30d",
    "is_shared": True,
}


class ViewBody(BaseModel):
    """A filter to be kept under a name."""

    model_config = taken(_VIEW)

    place: Place = Field(description="The page: search, advisories, audit or downloads (the access log).")
    name: Text = Field(max_length=LONGEST_NAME)
    query: Text = Field(max_length=LONGEST_QUERY, description="What is typed into the filter of the page.")
    is_shared: bool = Field(default=False, description="Whether everybody who may see the page sees the view.")


class ViewAnswer(BaseModel):
    """A saved view."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={"examples": [{"id": 7, **_VIEW, "owner": "ada", "created_at": "2026-11-01T12:00:00Z"}]},
    )

    id: int
    place: Place
    name: str
    query: str
    owner: str
    is_shared: bool
    created_at: datetime
