package org.innlite.demo;

/** What the {@link Workbench} shows; called by the screen's thread alone. */
interface Screen {
    /** The network is open; sizes may be chosen. */
    void showNetwork(Network network, int chosen);

    void showSize(int index, Size size);

    void showAnswer(Answer answer);

    /** @param p50 of every size, NaN where it has not been measured */
    void showLatencies(double[] p50, double[] p95, int chosen);

    /** What came of the search for the best size, or how far it is. */
    void showFound(String text);

    /** Null: there is no problem any more. */
    void showProblem(String text);
}
