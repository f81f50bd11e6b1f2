import org.codehaus.groovy.ast.expr.*
import org.codehaus.groovy.control.customizers.SecureASTCustomizer

/** One build of one job: what it was given, what it has become, and the trace of all that happened. */
class Build {
  final Map job
  final List<String> trace
  final Map<String, Build> nested = [:]
  final Env env
  final Map params
  final CurrentBuild currentBuild
  final Map scm
  final Steps steps
  List<Map> answers
  String stage = ''
  int lastMilestone = -1
  List<String> locks = []
  List<Map> starts = []
  int depth = 0

  Build(Map job, List<String> trace, int depth = 0) {
    this.job = job
    this.trace = trace
    this.depth = depth
    params = Collections.unmodifiableMap(new LinkedHashMap(job.params ?: [:]))
    // Jenkins gives parameters to every process as variables.
    env = new Env((job.env ?: [:]) + params.collectEntries { k, v -> [k, v.toString()] })
    currentBuild = new CurrentBuild(this)
    scm = Collections.unmodifiableMap([url: job.scm?.url, branches: [[name: job.scm?.branch]], extensions: [], userRemoteConfigs: [[url: job.scm?.url]]])
    answers = new ArrayList(job.answers ?: [])
    steps = new Steps(this)
  }

  void tell(Object line) { trace << '  ' * depth + line }

  /** Runs the file; the result is in `currentBuild`. */
  void run() {
    def settings = new org.codehaus.groovy.control.CompilerConfiguration()
    settings.scriptBaseClass = JenkinsScript.name
    def sandbox = new SecureASTCustomizer(closuresAllowed: true, methodDefinitionAllowed: false, importsWhitelist: [], staticImportsWhitelist: [])
    sandbox.expressionsBlacklist = [ConstructorCallExpression, MethodPointerExpression, StaticMethodCallExpression]
    settings.addCompilationCustomizers(sandbox)
    def shell = new GroovyShell(Build.classLoader, new Binding([__build: this]), settings)
    shell.evaluate(new File(job.file as String).getText('UTF-8'), 'WorkflowScript')
    if (!currentBuild.ran) { throw new Refused("${job.file} holds no pipeline") }
    // While a build runs its result may be null; when it has ended it is one.
    currentBuild.result = currentBuild.currentResult
    def said = currentBuild.description ? ": ${currentBuild.description}" : ''
    tell "result ${currentBuild.currentResult}${said}"
  }
}

/** What a Jenkinsfile stands on: it may say `pipeline` and nothing else. */
abstract class JenkinsScript extends Script {
  void pipeline(Closure body) {
    Build build = binding.getVariable('__build')
    if (build.currentBuild.ran) { throw new Refused('a second pipeline') }
    new Pipeline(build).run(body)
  }

  def methodMissing(String name, Object arguments) { throw new Refused("unknown on top of a file: ${name}") }
}

/** `env`: what was set, over what the agent and the job give. */
class Env extends GroovyObjectSupport {
  private final Map<String, String> own
  private final List<Map<String, String>> over = []

  Env(Map<String, String> own) { this.own = new LinkedHashMap(own) }

  Object getProperty(String name) {
    def layer = this.@over.reverse().find { it.containsKey(name) }
    layer ? layer[name] : this.@own[name]
  }

  void setProperty(String name, Object value) {
    if (value == null) { this.@own.remove(name) } else { this.@own[name] = value.toString() }
  }

  Map<String, String> allVariables() { this.@over.inject(new LinkedHashMap(this.@own)) { all, layer -> all + layer } }
  void layer(Map<String, String> variables) { this.@over << variables }
  void unlayer() { this.@over.pop() }

  def methodMissing(String name, Object arguments) { throw new Refused("env.${name}() is not allowed") }
}

/** `currentBuild`, as far as the sandbox lets a pipeline see it. */
class CurrentBuild {
  private final Build build
  private final long started = System.currentTimeMillis()
  private String outcome
  String description
  boolean ran = false

  CurrentBuild(Build build) { this.build = build }

  String getResult() { outcome }
  String getCurrentResult() { outcome ?: 'SUCCESS' }
  void setResult(String value) { outcome = Outcomes.worse(outcome, value) }
  int getNumber() { (build.job.number ?: 1) as int }
  String getDisplayName() { "#${number}" }
  String getAbsoluteUrl() { build.job.env?.BUILD_URL }
  /** A job may say how long it has run, for questions that nobody answers. */
  long getDuration() { (build.job.duration ?: System.currentTimeMillis() - started) as long }

  List<Map> getBuildCauses(String kind = null) {
    (build.job.causes ?: []).findAll { kind == null || it._class == kind }
  }

  Object getRawBuild() { throw new Refused('currentBuild.rawBuild needs an approval') }
}
