"""Post-mortems: drafted from a case's own record, edited by people, read as a page, as Markdown or as PDF."""
