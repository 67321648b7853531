"""The suite: one test file a chapter, mirroring ``spec/``; the clause before its test."""
