"""From a file's bytes to text, whichever encoding a spreadsheet chose."""

from __future__ import annotations

from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE

from hostward.domain.errors import InvalidInput

_SAVE_AS_UTF8 = "In Excel, save it as “CSV UTF-8 (Comma delimited)”; elsewhere choose the encoding UTF-8."
_NOT_TEXT = {
    b"PK\x03\x04": "an Excel workbook or another zip file",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x1f\x8b": "compressed with gzip",
    b"%PDF": "a PDF document",
}


def decode(data: bytes) -> str:
    """The text of UTF-8, with or without a byte order mark, or of UTF-16 with one, as Excel's “Unicode Text” has.

    Anything else raises InvalidInput, saying what was found and how to save the file as UTF-8: guessing between the
    older encodings would change names silently."""
    for magic, what in _NOT_TEXT.items():
        if data.startswith(magic):
            raise InvalidInput(f"The file is {what}, not CSV or JSON.", remedy=_SAVE_AS_UTF8, code="inventory-encoding")
    if data.startswith((BOM_UTF32_LE, BOM_UTF32_BE)):
        raise InvalidInput("The file's encoding is UTF-32.", remedy=_SAVE_AS_UTF8, code="inventory-encoding")
    if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return _utf16(data)
    if b"\0" in data[:64]:
        raise InvalidInput(
            "The file's encoding seems to be UTF-16 without a byte order mark.",
            remedy=_SAVE_AS_UTF8,
            code="inventory-encoding",
        )
    start = len(BOM_UTF8) if data.startswith(BOM_UTF8) else 0
    try:
        return data[start:].decode()
    except UnicodeDecodeError as error:
        at = start + error.start
        line = data.count(b"\n", 0, at) + 1
        letter = data[at : at + 1].decode("cp1252", "replace")
        raise InvalidInput(
            f"The file isn't UTF-8: line {line} has the byte 0x{data[at]:02X} (“{letter}” in Windows-1252).",
            remedy=_SAVE_AS_UTF8,
            code="inventory-encoding",
        ) from error


def _utf16(data: bytes) -> str:
    try:
        return data.decode("utf-16")
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"The file begins as UTF-16 but isn't: byte {error.start} can't be read ({error.reason}).",
            remedy=f"It may have been cut off. {_SAVE_AS_UTF8}",
            code="inventory-encoding",
        ) from error
