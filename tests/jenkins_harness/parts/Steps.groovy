/** Steps that talk to Jenkins itself. Steps that touch a workspace are in `Work`. */
class Steps extends Work {
  Steps(Build build) { super(build) }

  Object script(Closure body) { body.call() }
  void echo(Object message) { build.tell "echo ${message}" }
  void error(Object message) { throw new StepFailed(message) }

  void unstable(Object message) {
    build.tell "unstable: ${message}"
    build.currentBuild.result = 'UNSTABLE'
  }

  void milestone(int ordinal) {
    if (ordinal <= build.lastMilestone) { throw new Refused("milestone ${ordinal} after ${build.lastMilestone}") }
    build.lastMilestone = ordinal
    build.tell "milestone ${ordinal}"
    if (ordinal in (build.job.passed_by_newer ?: [])) { throw new Interrupted("superseded at milestone ${ordinal}") }
  }

  Object timeout(Map m, Closure body) {
    Refused.only('timeout', m, ['time', 'unit', 'activity'], ['time', 'unit'])
    body.call()
  }

  Object sleep(Map m) {
    Refused.only('sleep', m, ['time', 'unit'], ['time'])
    if (build.locks) { throw new Refused("sleep holds the locks ${build.locks}") }
    if (isOnAgent()) { throw new Refused('sleep holds an agent') }
    build.tell "sleep ${m.time} ${m.unit ?: 'SECONDS'}"
  }

  Object catchError(Map m, Closure body) {
    Refused.only('catchError', m, ['buildResult', 'stageResult', 'message', 'catchInterruptions'])
    try {
      body.call()
    } catch (Interrupted e) {
      if (m.catchInterruptions != false) { build.tell "swallowed: ${e.message}" } else { throw e }
    } catch (StepFailed e) {
      build.tell "caught: ${e.message}"
      build.currentBuild.result = m.buildResult ?: 'FAILURE'
    }
  }

  Object withEnv(List<String> pairs, Closure body) {
    build.env.layer(pairs.collectEntries { def at = it.indexOf('='); [it[0..<at], it.substring(at + 1)] })
    try { body.call() } finally { build.env.unlayer() }
  }

  // Parameters, of input and of build; what they mean is checked by who takes them.
  Map string(Map m) { [kind: 'string'] + Refused.only('string', m, ['name', 'value', 'defaultValue', 'description', 'trim', 'credentialsId', 'variable']) }
  Map choice(Map m) { [kind: 'choice'] + Refused.only('choice', m, ['name', 'choices', 'description'], ['name', 'choices']) }
  Map booleanParam(Map m) { [kind: 'boolean'] + Refused.only('booleanParam', m, ['name', 'value', 'defaultValue', 'description'], ['name']) }

  Object input(Map m) {
    Refused.only('input', m, ['id', 'message', 'ok', 'submitter', 'submitterParameter', 'parameters'], ['id', 'message', 'submitter'])
    if (!m.submitter) { throw new Refused('input that everybody may answer') }
    if (build.locks) { throw new Refused("input holds the locks ${build.locks}") }
    if (isOnAgent()) { throw new Refused('input holds an agent') }
    def parameters = m.parameters ?: []
    build.tell "input ${m.id} (${m.submitter}): ${m.message}"
    parameters.each { build.tell "  ${it.name}${it.kind == 'choice' ? ': ' + _choices(it) : ''}" }
    if (!build.answers) { throw new Refused("nobody answers ${m.id}") }
    def answer = build.answers.remove(0)
    if (answer.abort) { throw new Interrupted("input ${m.id}: ${answer.abort}") }
    def given = [:]
    parameters.each { parameter ->
      def value = answer.containsKey(parameter.name) ? answer[parameter.name] : parameter.kind == 'choice' ? _choices(parameter)[0] : parameter.defaultValue ?: ''
      // A test may choose by what a choice begins with.
      if (parameter.kind == 'choice') {
        value = _choices(parameter).find { it == value } ?: _choices(parameter).find { it.startsWith(value) }
        if (value == null) { throw new Refused("illegal choice for ${parameter.name}") }
      }
      given[parameter.name] = value
    }
    def unknown = answer.keySet() - given.keySet() - [m.submitterParameter, 'by']
    if (unknown) { throw new Refused("input ${m.id} does not ask for ${unknown}") }
    if (m.submitterParameter) { given[m.submitterParameter] = answer.by }
    build.tell "answer ${given}"
    given.size() == 1 ? given.values()[0] : given
  }

  static List<String> _choices(Map parameter) {
    def all = parameter.choices instanceof List ? parameter.choices : parameter.choices.toString().split('\n') as List
    if (!all) { throw new Refused("choice ${parameter.name} without choices") }
    all
  }

  Object build(Map m) {
    Refused.only('build', m, ['job', 'wait', 'propagate', 'parameters'], ['job'])
    def parameters = (m.parameters ?: []).collectEntries {
      if (!(it.name && it.containsKey('value'))) { throw new Refused("build ${m.job}: parameter ${it}") }
      [it.name, it.value]
    }
    build.tell "build ${m.job} ${parameters}${m.wait == false ? ', not awaited' : ''}"
    build.starts << [job: m.job, parameters: parameters]
    if (m.wait == false) { return null }
    def other = build.job.jobs?.get(m.job)
    if (!other) { throw new StepFailed("No item named ${m.job} found") }
    def undeclared = parameters.keySet() - (other.params ?: [:]).keySet()
    if (undeclared) { throw new Refused("job ${m.job} has no parameter ${undeclared.join(', ')}; Jenkins drops it") }
    def inner = new Build(other + [params: (other.params ?: [:]) + parameters], build.trace, build.depth + 1)
    inner.run()
    build.starts.addAll(inner.starts)
    def result = inner.currentBuild.currentResult
    if (m.propagate != false && result != 'SUCCESS') {
      if (result == 'UNSTABLE') { unstable("${m.job} is unstable") } else { throw new StepFailed("${m.job} completed with status ${result}") }
    }
    inner.currentBuild
  }
}
