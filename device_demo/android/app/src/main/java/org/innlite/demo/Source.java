package org.innlite.demo;

/** Something that is read by the worker's thread when it is needed: the network's file, a picture. */
interface Source<T> {
    T read() throws InnException;
}
