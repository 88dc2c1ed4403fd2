package org.innlite.demo;

/** What a person is told: a file that is no bundle, an engine that fails, a picture that cannot be read. */
final class InnException extends Exception {
    private static final long serialVersionUID = 1;

    InnException(String message) {
        super(message);
    }
}
