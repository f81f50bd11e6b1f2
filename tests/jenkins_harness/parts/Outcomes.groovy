/** How a build may end, and the ways out of it. The order is Jenkins' own: a result only gets worse. */
class Outcomes {
  static final List<String> ORDER = ['SUCCESS', 'UNSTABLE', 'FAILURE', 'NOT_BUILT', 'ABORTED']

  static String worse(String one, String other) {
    int a = ORDER.indexOf(one ?: 'SUCCESS'), b = ORDER.indexOf(other ?: 'SUCCESS')
    if (a < 0 || b < 0) { throw new Refused("there is no result ${one ?: other}") }
    ORDER[Math.max(a, b)]
  }
}

/** The harness does not know this. Never caught by a pipeline, so nothing passes by being ignored. */
class Refused extends Error {
  Refused(Object message) { super(message.toString()) }

  /** The arguments of a step, when each has a name that the step knows. */
  static Map only(String step, Map arguments, List<String> known, List<String> needed = []) {
    def unknown = arguments.keySet() - known
    if (unknown) { throw new Refused("${step}: unknown argument ${unknown.join(', ')}") }
    def missing = needed - arguments.keySet()
    if (missing) { throw new Refused("${step}: missing argument ${missing.join(', ')}") }
    arguments
  }
}

/** A step that failed: the stage and the build fail. */
class StepFailed extends Exception {
  StepFailed(Object message) { super(message.toString()) }
}

/** An abort, a timeout, a superseding build. */
class Interrupted extends Exception {
  Interrupted(Object message) { super(message.toString()) }
}
