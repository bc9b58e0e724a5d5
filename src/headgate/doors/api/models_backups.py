"""Answers about backups."""

from datetime import datetime

from pydantic import BaseModel, Field

from headgate.doors.api.paging import Listing


class BackupAnswer(BaseModel):
    """One backup; sizes in bytes."""

    name: str = Field(description="When it was begun, in UTC.", examples=["2026-11-21T183000Z"])
    folder: str = Field(description="Where it is, on the machine of the server.")
    made_at: datetime
    by: str
    job: str
    version: str = Field(description="The version of Headgate that made it.")
    schema_revision: str | None = Field(description="The revision of the database's schema.")
    databases: list[str] = Field(description="Databases in it; none when they are in PostgreSQL.")
    files: int
    bytes: int
    linked_files: int = Field(description="Of `files`, those that share their bytes with the backup before.")
    linked_bytes: int
    missing_files: int = Field(description="Files that the database names and the data folder did not have.")
    left_out: list[str]


class BackupsAnswer(Listing[BackupAnswer]):
    """The backups, the newest first."""

    is_on: bool = Field(description="Whether a folder for backups is set.")
    next_at: datetime | None = Field(description="When one is made by itself.")
    concern: str | None = Field(description="One sentence, when there is no backup as there should be.")
    elsewhere: str | None = Field(description="One sentence, when part of the data is in none of them.")
