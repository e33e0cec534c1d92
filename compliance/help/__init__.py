"""The documents and the glossary on the site, and links to them from every page."""
