"""Formats of image files: which are read, and by what bytes at its start or by what suffix a file is told to be of one.

What is in a format that is not read is told all the same, so that it is counted and listed, never passed over.
"""

import re
from pathlib import Path

from polyhead.files import open_regular

HEAD = 512  # bytes at the start of a file that reveal its format

# Only these are ever tried: what Pillow reads beside them is rare among photographs, and some of it is not safe to
# read from strangers (EPS, for one, is a program that Ghostscript runs). By Pillow's names.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "AVIF", "JPEG2000", "PPM", "HEIF")

SIGNS = {
    "JPEG": rb"\xff\xd8\xff",
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "GIF": rb"GIF8[79]a",
    "BMP": rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0",
    "WEBP": rb"RIFF.{4}WEBP",
    "JPEG2000": rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n",
    "CR2": rb"II\*\0.{4}CR",
    "TIFF": rb"II\*\0|MM\0\*|II\+\0|MM\0\+",
    "PSD": rb"8BPS",
    "ICO": rb"\0\0[\x01\x02]\0[^\0]\0.{3}\0",
    "ICNS": rb"icns",
    "JPEG XL": rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n",
    "JPEG XR": rb"II\xbc[\0\x01]",
    "OpenEXR": rb"v/1\x01",
    "Radiance HDR": rb"#\?R(ADIANCE|GBE)",
    "DDS": rb"DDS \x7c\0\0\0",
    "QOI": rb"qoif",
    "FITS": rb"SIMPLE  = ",
    "XCF": rb"gimp xcf",
    "DICOM": rb".{128}DICM",
    "RAF": rb"FUJIFILMCCD-RAW",
    "RW2": rb"IIU\0",
    "ORF": rb"II(RO|RS)|MMOR",
    "X3F": rb"FOVb",
    "MNG": rb"\x8a[MJ]NG\r\n\x1a\n",
    "WMF": rb"\xd7\xcd\xc6\x9a",
    "Sun raster": rb"\x59\xa6\x6a\x95",
    "BPG": rb"BPG\xfb",
    "FLIF": rb"FLIF",
    "DPX": rb"SDPX|XPDS",
}
# A plain text may begin like these, so such files are found by their suffix alone.
TEXT_SIGNS = {
    "PPM": rb"P([1-6f]|y(P|RGBA|CMYK)|0CMYK)[ \t\n\v\f\r]",
    "EPS": rb"%!PS|\xc5\xd0\xd3\xc6",
    "SVG": rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*>)?(\s*<!(--|DOCTYPE)[^>]*>)*\s*<svg[\s>]",
    "PDF": rb"%PDF-",
    "XPM": rb"/\* XPM \*/",
    "XBM": rb"#define \S+_width ",
}
_SIGNS, _TEXT_SIGNS = (
    {name: re.compile(sign, re.DOTALL) for name, sign in signs.items()} for signs in (SIGNS, TEXT_SIGNS)
)
BRANDS = {  # of ISO files ("ftyp"), the most telling first
    "AVIF": {b"avif", b"avis"},
    "HEIF": {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"},
    "CR3": {b"crx "},
}

USUAL = "jpg jpeg jpe jfif jif jfi mpo png apng gif bmp dib webp tif tiff jp2 j2k j2c jpc jpf jpx ppm pgm pbm pnm pfm"
OTHERS = """
    avif avifs heic heics heif heifs hif
    3fr arw cr2 cr3 crw dcr dng erf gpr iiq kdc mef mos mrw nef nrw orf pef raf rw2 rwl sr2 srf srw x3f
    psd psb xcf kra svg svgz eps epsf epsi wmf emf ico cur icns tga icb vda vst pcx dcx dds qoi exr hdr
    jxl jxr wdp hdp bpg flif fits dcm dicom dpx mng jng sgi ras sun xbm xpm
"""
USUAL_SUFFIXES = frozenset(f".{name}" for name in USUAL.split())  # of formats that are read wherever Polyhead runs
SUFFIXES = USUAL_SUFFIXES | {f".{name}" for name in OTHERS.split()}


def detect_format(start: bytes) -> str:
    """The format of a file that begins with these bytes; blank if it is not a known image format."""
    if start[4:8] == b"ftyp":
        length = min(int.from_bytes(start[:4], "big"), len(start))
        brands = {start[8:12], *(start[at : at + 4] for at in range(16, length - 3, 4))}
        return next((name for name, known in BRANDS.items() if brands & known), "")
    signs = [*_SIGNS.items(), *_TEXT_SIGNS.items()]
    return next((name for name, sign in signs if sign.match(start)), "")


def looks_like_image(path: Path) -> bool:
    """Whether a file counts as an image: by its suffix, supported or not, or else by its first bytes."""
    if path.suffix.lower() in SUFFIXES:
        return True
    try:
        with open_regular(path) as file:
            start = file.read(HEAD)
    except OSError:
        return False
    name = detect_format(start)
    return bool(name) and name not in _TEXT_SIGNS
