"""Answers about what a clean-up would remove."""

from pydantic import BaseModel, ConfigDict, Field

from headgate.channels.retention import Ages, Foreseen


class DoomedFileAnswer(BaseModel):
    """A deleted file whose bytes go."""

    model_config = ConfigDict(from_attributes=True)

    subdir: str
    filename: str
    size_bytes: int
    sha256: str


class RetentionAnswer(BaseModel):
    """What the next clean-up would remove."""

    shard_age_days: float = Field(description="How long superseded shards and history are kept.")
    blob_age_hours: float = Field(description="How long bytes are kept that nothing lists.")
    entries: int = Field(description="States of package names that only revisions older than that have.")
    shards: int = Field(description="Shards that only those name.")
    shard_bytes: int
    files: int = Field(description="Files whose bytes go; of all channels, documents that were rendered anew included.")
    file_bytes: int
    listed: list[DoomedFileAnswer] = Field(description="The largest of the files that were deleted, at most 100.")


def shown_retention(foreseen: Foreseen, ages: Ages) -> RetentionAnswer:
    """What was foreseen, with the settings that it follows."""
    return RetentionAnswer(
        shard_age_days=ages.shard.total_seconds() / 86_400,
        blob_age_hours=ages.blob.total_seconds() / 3600,
        entries=foreseen.entries,
        shards=foreseen.shards,
        shard_bytes=foreseen.shard_bytes,
        files=foreseen.files,
        file_bytes=foreseen.file_bytes,
        listed=[DoomedFileAnswer.model_validate(one) for one in foreseen.listed],
    )
