"""Every error that modelprint raises on purpose.

```
ModelprintError
├── InvalidImageError (ValueError)            not an image, or not one that can be fingerprinted
│   └── ImageNotFoundError (FileNotFoundError)
├── InvalidOptionError (ValueError)           an argument has a value that is not allowed
├── InvalidWeightsError (ValueError)          a weights folder is damaged, foreign or too new
├── WeightsNotFoundError (FileNotFoundError)  no such folder, repository or revision
├── HubUnreachableError (ConnectionError)     the Hugging Face hub did not answer
├── NothingToEnrollError (ValueError)         an enrolment without a single image
├── DuplicateImageError (ValueError)          the same image enrolled twice
├── UnknownLabelError (KeyError)              a label that nobody enrolled
├── EmptyGalleryError (LookupError)           a question to a gallery without models
├── ExtractorMismatchError (ValueError)       fingerprints of different extractors brought together
├── GalleryChangedError (FileExistsError)     saving would undo what others have saved
├── FileBusyError (TimeoutError)              others were changing a file for too long
├── InvalidGalleryFileError (ValueError)      a gallery file is damaged, foreign or too new
├── InvalidRecordError (ValueError)           not an audit record, or one of another schema
├── RecordMismatchError (ValueError)          a record is of another image or another gallery
└── MissingExtraError (ImportError)           an optional dependency is not installed
```

Every leaf also inherits the matching builtin, so that `except ValueError` goes on working. Every
message says what was expected, what came, and what to do.
"""


class ModelprintError(Exception):
    """Root of every error that modelprint raises on purpose."""


class InvalidImageError(ModelprintError, ValueError):
    """The input is not an image, or not one that can be fingerprinted."""


class ImageNotFoundError(InvalidImageError, FileNotFoundError):
    """There is no file or folder under the given path."""


class InvalidOptionError(ModelprintError, ValueError):
    """An argument has a value that is not allowed; the message lists the allowed ones."""


class InvalidWeightsError(ModelprintError, ValueError):
    """A weights folder is incomplete, damaged, foreign or of a newer schema."""


class WeightsNotFoundError(ModelprintError, FileNotFoundError):
    """There is no such weights folder, hub repository or revision."""


class HubUnreachableError(ModelprintError, ConnectionError):
    """The Hugging Face hub could not be reached and the weights are not cached."""


class NothingToEnrollError(ModelprintError, ValueError):
    """An enrolment came without a single image."""


class DuplicateImageError(ModelprintError, ValueError):
    """An image to enroll is already enrolled, or comes twice in one call."""


class UnknownLabelError(ModelprintError, KeyError):
    """A label that is not enrolled in the gallery."""

    def __str__(self) -> str:
        # KeyError shows the repr of its argument, which would put our sentence into quotes.
        return str(self.args[0]) if self.args else ""


class EmptyGalleryError(ModelprintError, LookupError):
    """A question to a gallery in which no model is enrolled."""


class ExtractorMismatchError(ModelprintError, ValueError):
    """Fingerprints of two different extractors were brought together."""


class GalleryChangedError(ModelprintError, FileExistsError):
    """Saving would replace a gallery that is not the one that was loaded."""


class FileBusyError(ModelprintError, TimeoutError):
    """Another process or thread was changing a file for longer than one wanted to wait."""


class InvalidGalleryFileError(ModelprintError, ValueError):
    """A gallery file is damaged, not a gallery, or of a newer format."""


class InvalidRecordError(ModelprintError, ValueError):
    """Something is not an audit record, or is one of another schema."""


class RecordMismatchError(ModelprintError, ValueError):
    """A record was to be checked with another image or gallery than it was made from."""


class MissingExtraError(ModelprintError, ImportError):
    """An optional dependency is not installed; the message gives the pip command."""
