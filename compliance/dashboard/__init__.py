"""The officers' pages: read-only views of what audits left in the rows and in their evidence folders."""
