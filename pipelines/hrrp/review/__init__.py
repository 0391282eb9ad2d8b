"""What people open: suppression, the page, the workbook, the brief; reads only the published review database."""
