"""Pages and documents to read."""


def article(paragraphs: int, *, title: str = "A long story") -> str:
    """Return a page with navigation around an article of numbered paragraphs, three to a section."""
    parts = [
        (f"<h2>Chapter {number // 3}</h2>" if number % 3 == 0 else "")
        + f"<p>Paragraph {number} says, at some length, what happened on day {number}, and why it mattered to them.</p>"
        for number in range(paragraphs)
    ]
    return (
        f"<html><head><title>{title}</title><meta name='author' content='Ada Lovelace'></head><body>"
        "<nav><a href='/'>Home</a> <a href='/buy'>Buy now</a></nav>"
        f"<article><h1>{title}</h1>{''.join(parts)}</article><footer>Imprint, terms, privacy</footer></body></html>"
    )


def markdown(paragraphs: int) -> str:
    """Return the same article as Markdown."""
    parts = [
        (f"## Chapter {number // 3}\n\n" if number % 3 == 0 else "")
        + f"Paragraph {number} says, at some length, what happened on day {number}, and why it mattered to them."
        for number in range(paragraphs)
    ]
    return "\n\n".join(["# A long story", *parts])


def pdf(pages: int) -> bytes:
    """Return a PDF whose pages have two lines each."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", ""]
    objects.append("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    kids: list[int] = []
    for number in range(pages):
        text = f"BT /F1 12 Tf 72 720 Td (Page {number} begins here.) Tj 0 -20 Td (It ends with line {number}.) Tj ET"
        objects.append(f"<< /Length {len(text)} >>\nstream\n{text}\nendstream")
        fonts = "/Resources << /Font << /F1 3 0 R >> >>"
        objects.append(f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] {fonts} /Contents {len(objects)} 0 R >>")
        kids.append(len(objects))
    objects[1] = f"<< /Type /Pages /Count {pages} /Kids [{' '.join(f'{kid} 0 R' for kid in kids)}] >>"
    data, offsets = b"%PDF-1.4\n", list[int]()
    for number, body in enumerate(objects, 1):
        offsets.append(len(data))
        data += f"{number} 0 obj\n{body}\nendobj\n".encode()
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    end = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
    end += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(data)}\n%%EOF\n"
    return data + end.encode()
