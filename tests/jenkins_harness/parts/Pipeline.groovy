/** What every block of a pipeline can see: variables of the build; anything else is refused. */
abstract class Known {
  protected final Build build

  Known(Build build) { this.build = build }

  Env getEnv() { build.env }
  Map getParams() { build.params }
  CurrentBuild getCurrentBuild() { build.currentBuild }
  Map getScm() { build.scm }

  def methodMissing(String name, Object arguments) { throw new Refused("${getClass().simpleName}: unknown ${name}") }

  def propertyMissing(String name) {
    def value = build.env.getProperty(name)
    if (value == null) { throw new Refused("${getClass().simpleName}: unknown variable ${name}") }
    value
  }

  static Object within(Closure body, Object delegate) {
    body.delegate = delegate
    body.resolveStrategy = Closure.DELEGATE_FIRST
    body.call()
  }
}

/** The sections of a pipeline or of a stage, collected before anything runs. Each stands once. */
class Sections extends Known {
  final Map<String, Object> found = [:]
  private final List<String> legal

  Sections(Build build, List<String> legal) {
    super(build)
    this.legal = legal
  }

  def methodMissing(String name, Object arguments) {
    if (!(name in legal)) { throw new Refused("no section here: ${name}") }
    if (found.containsKey(name)) { throw new Refused("section ${name} stands twice") }
    def given = arguments as List
    if (given.size() != 1) { throw new Refused("section ${name} takes one block") }
    found[name] = given[0]
  }

  String getNone() { 'none' }
  String getAny() { 'any' }
}

/** `stages`: names and blocks in their order. */
class StageList extends Known {
  final Map<String, Closure> stages = [:]

  StageList(Build build) { super(build) }

  void stage(String name, Closure body) {
    if (stages.containsKey(name)) { throw new Refused("two stages called ${name}") }
    stages[name] = body
  }
}

/** Runs a declarative pipeline in the order that Declarative has: options, input, when, agent, environment, steps, post. */
class Pipeline extends Known {
  static final List<String> POST = ['always', 'changed', 'fixed', 'regression', 'aborted', 'success', 'unsuccessful', 'unstable', 'failure',
                                    'notBuilt', 'cleanup']
  private Options options
  private boolean failed = false

  Pipeline(Build build) { super(build) }

  void run(Closure body) {
    build.currentBuild.ran = true
    def sections = new Sections(build, ['agent', 'options', 'stages', 'post', 'environment'])
    within(body, sections)
    if (!sections.found.agent) { throw new Refused('no agent on top') }
    if (sections.found.agent != 'none') { throw new Refused('an agent on top is not known here') }
    if (!sections.found.stages) { throw new Refused('no stages') }
    options = new Options(build, true)
    if (sections.found.options) { within(sections.found.options as Closure, options) }
    def list = new StageList(build)
    within(sections.found.stages as Closure, list)
    if (!list.stages) { throw new Refused('no stage') }
    boolean started = true
    if (build.job.from_stage) {
      if (options.told.contains('disableRestartFromStage')) { throw new Refused('this pipeline cannot be restarted from a stage') }
      if (!list.stages.containsKey(build.job.from_stage)) { throw new Refused("no stage ${build.job.from_stage}") }
      started = false
    }
    list.stages.each { name, block ->
      started = started || name == build.job.from_stage
      if (!started) { build.tell "stage ${name}: before the restart" } else { stage(name, block) }
    }
    build.stage = ''
    if (sections.found.post) { post(sections.found.post as Closure, failed ? build.currentBuild.currentResult : null) }
  }

  private void stage(String name, Closure body) {
    def result = build.currentBuild.currentResult
    if (failed) { build.tell "stage ${name}: left out after a failure"; return }
    if (result == 'UNSTABLE' && 'skipStagesAfterUnstable' in options.told) { build.tell "stage ${name}: left out, unstable"; return }
    build.stage = name
    def sections = new Sections(build, ['when', 'options', 'agent', 'environment', 'steps', 'post'])
    within(body, sections)
    if (!sections.found.steps) { throw new Refused("stage ${name} has no steps") }
    def when = new When(build)
    if (sections.found.when) { within(sections.found.when as Closure, when) }
    if (when.beforeOptions && !when.holds()) { build.tell "stage ${name}: left out by when"; return }
    build.tell "stage ${name}"
    build.depth++
    try {
      inside(name, sections.found, when)
    } finally {
      build.depth--
    }
  }

  private void inside(String name, Map found, When when) {
    def own = new Options(build, false)
    if (found.options) { within(found.options as Closure, own) }
    own.take()
    try {
      if (when.beforeAgent && !when.beforeOptions && !when.holds()) { build.tell 'left out by when'; return }
      def agent = new Agent(build)
      if (found.agent instanceof Closure) { within(found.agent as Closure, agent) }
      agent.take()
      try {
        if (!when.beforeAgent && !when.beforeOptions && when.conditions && !when.holds()) {
          if (agent.label) { throw new Refused("stage ${name} takes an agent before it asks whether to run") }
          build.tell 'left out by when'
          return
        }
        work(found)
      } finally {
        agent.give()
      }
    } finally {
      own.give()
    }
  }

  private void work(Map found) {
    def variables = new Variables(build)
    if (found.environment) { within(found.environment as Closure, variables) }
    build.env.layer(variables.set)
    // What a pipeline may survive; everything else is a bug of it or of the harness and ends the run at once.
    String here = outcome { within(found.steps as Closure, build.steps) }
    if (found.post) { here = Outcomes.worse(here, outcome { post(found.post as Closure, here) }) }
    if (here in ['FAILURE', 'ABORTED']) { failed = true }
    build.env.unlayer()
  }

  private String outcome(Closure work) {
    String here = null
    try {
      work()
    } catch (Interrupted e) {
      build.tell "stopped: ${e.message}"
      here = 'ABORTED'
    } catch (StepFailed e) {
      build.tell "failed: ${e.message}"
      here = 'FAILURE'
    }
    if (here) { build.currentBuild.result = here }
    here
  }

  private void post(Closure body, String here) {
    def sections = new Sections(build, POST)
    within(body, sections)
    def result = Outcomes.worse(here, build.currentBuild.result)
    def holds = [always: true, aborted: result == 'ABORTED', success: result == 'SUCCESS', unsuccessful: result != 'SUCCESS',
                 unstable: result == 'UNSTABLE', failure: result == 'FAILURE', notBuilt: result == 'NOT_BUILT', cleanup: true]
    POST.findAll { sections.found[it] }.each { condition ->
      if (!holds.containsKey(condition)) { throw new Refused("post condition ${condition}: the harness has no builds before") }
      if (holds[condition]) {
        build.tell "post ${condition}"
        build.depth++
        try { within(sections.found[condition] as Closure, build.steps) } finally { build.depth-- }
      }
    }
  }
}

/** `options` of a pipeline or of a stage. */
class Options extends Known {
  private final boolean isTop
  final List<String> told = []
  private String resource
  private boolean held = false

  Options(Build build, boolean isTop) {
    super(build)
    this.isTop = isTop
  }

  private void top(String name) {
    if (!isTop) { throw new Refused("${name} stands on top only") }
    told << name
  }

  void buildDiscarder(Map rotation) { top('buildDiscarder') }
  Map logRotator(Map m) { Refused.only('logRotator', m, ['numToKeepStr', 'artifactNumToKeepStr', 'daysToKeepStr']) }
  void disableConcurrentBuilds(Map m = [:]) { Refused.only('disableConcurrentBuilds', m, ['abortPrevious']); top('disableConcurrentBuilds') }
  void disableRestartFromStage() { top('disableRestartFromStage') }
  void preserveStashes(Map m) { Refused.only('preserveStashes', m, ['buildCount'], ['buildCount']); top('preserveStashes') }
  void skipDefaultCheckout() { top('skipDefaultCheckout') }
  void skipStagesAfterUnstable() { top('skipStagesAfterUnstable') }

  void timeout(Map m) {
    Refused.only('timeout', m, ['time', 'unit', 'activity'], ['time', 'unit'])
    if (isTop) { throw new Refused('a time limit over a whole pipeline') }
    if (!((m.time as int) > 0) || !(m.unit in ['SECONDS', 'MINUTES', 'HOURS', 'DAYS'])) { throw new Refused("timeout ${m}") }
    told << "timeout ${m.time} ${m.unit}"
  }

  void lock(Map m) {
    Refused.only('lock', m, ['resource'], ['resource'])
    if (isTop) { throw new Refused('a lock over a whole pipeline') }
    resource = m.resource
    told << "lock ${resource}"
  }

  void take() {
    told.each { build.tell it }
    if (resource) {
      if (resource in build.locks) { throw new Refused("${resource} is locked already: a build would wait for itself") }
      build.locks << resource
      held = true
    }
  }

  void give() { if (held) { build.locks.remove(resource) } }
}

/** `when`: conditions, asked late and together. */
class When extends Known {
  boolean beforeAgent = false
  boolean beforeOptions = false
  final List<Closure<Boolean>> conditions = []

  When(Build build) { super(build) }

  void beforeAgent(boolean value) { beforeAgent = value }
  void beforeOptions(boolean value) { beforeOptions = value }
  void branch(String name) { conditions << { build.env.getProperty('BRANCH_NAME') == name } }
  void changeRequest() { conditions << { build.env.getProperty('CHANGE_ID') != null } }
  void buildingTag() { conditions << { build.env.getProperty('TAG_NAME') != null } }

  void expression(Closure body) {
    conditions << { within(body, new Expression(build)) as boolean }
  }

  void not(Closure body) {
    def inner = nested(body)
    if (inner.conditions.size() != 1) { throw new Refused("not holds ${inner.conditions.size()} conditions") }
    conditions << { !inner.holds() }
  }

  void allOf(Closure body) { def inner = nested(body); conditions << { inner.holds() } }
  void anyOf(Closure body) { def inner = nested(body); conditions << { inner.conditions.any { it() } } }

  private When nested(Closure body) {
    def inner = new When(build)
    within(body, inner)
    if (!inner.conditions) { throw new Refused('an empty condition') }
    inner
  }

  boolean holds() {
    if (!conditions) { throw new Refused('a when without a condition') }
    conditions.every { it() }
  }
}

/** Inside `expression { }`: variables and nothing else. */
class Expression extends Known {
  Expression(Build build) { super(build) }
}

/** `environment { X = 'y' }`. */
class Variables extends Known {
  final Map<String, String> set = [:]

  Variables(Build build) { super(build) }

  void setProperty(String name, Object value) { this.@set[name] = value.toString() }
}

/** `agent { node { label ..; retries .. } }`; a workspace, new or as it was left. */
class Agent extends Known {
  String label
  int times = 0

  Agent(Build build) { super(build) }

  void node(Closure body) { within(body, this) }
  void label(String name) { label = name }
  void retries(int count) { times = count }

  void take() {
    if (!label) { return }
    if (build.job.labels && !(label in build.job.labels)) { throw new Refused("no agent has the label ${label}") }
    build.tell "agent ${label}, retries ${times}"
    build.steps.enter(label)
  }

  void give() { if (label) { build.steps.leave() } }
}
