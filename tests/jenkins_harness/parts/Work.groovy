import groovy.io.FileType
import groovy.util.FileNameFinder
import java.nio.file.Files

/** Steps that touch a workspace: real processes, real git, real files. */
abstract class Work extends Known {
  private File workspace
  private File here

  Work(Build build) { super(build) }

  boolean isOnAgent() { workspace != null }

  void enter(String label) {
    workspace = new File("${build.job.workspaces}/${label}")
    // The hardest case: every stage on an agent that has never seen this job.
    if (build.job.fresh) { workspace.deleteDir() }
    workspace.mkdirs()
    here = workspace
  }

  void leave() { workspace = here = null }

  File _place(String path) {
    if (!here) { throw new StepFailed("Required context class hudson.FilePath is missing: ${path} outside of an agent") }
    def file = new File(path)
    file.absolute ? file : new File(here, path)
  }

  Object dir(String path, Closure body) {
    def before = here
    here = _place(path)
    here.mkdirs()
    try { body.call() } finally { here = before }
  }

  void deleteDir() {
    def target = _place('.').canonicalFile
    target.deleteDir()
    target.mkdirs()
  }

  String readFile(String path) {
    def file = _place(path)
    if (!file.isFile()) { throw new StepFailed("${path} does not exist") }
    file.getText('UTF-8')
  }

  void writeFile(Map m) {
    Refused.only('writeFile', m, ['file', 'text', 'encoding'], ['file', 'text'])
    def file = _place(m.file as String)
    file.parentFile.mkdirs()
    file.setText(m.text.toString(), 'UTF-8')
  }

  boolean fileExists(String path) { _place(path).exists() }
  String pwd() { _place('.').canonicalPath }
  boolean isUnix() { true }

  Object sh(Object script) { script instanceof Map ? sh((Map) script) : sh([script: script]) }

  Object sh(Map m) {
    Refused.only('sh', m, ['script', 'label', 'returnStatus', 'returnStdout'], ['script'])
    if (!(m.script instanceof String)) { throw new Refused("sh with a script that Groovy filled in: ${m.script}") }
    if (m.returnStatus && m.returnStdout) { throw new Refused('sh returns one thing') }
    def (int status, String out) = _process(m.script as String, m.returnStdout as boolean)
    build.tell "sh ${m.label ?: m.script}: ${status}"
    if (m.returnStatus) { return status }
    if (status != 0) { throw new StepFailed("script returned exit code ${status}") }
    m.returnStdout ? out : null
  }

  List _process(String script, boolean keepOutput) {
    def file = File.createTempFile('step', '.sh')
    file.setText(script, 'UTF-8')
    def builder = new ProcessBuilder('/bin/sh', '-xe', file.path).directory(_place('.'))
    def variables = builder.environment()
    variables.clear()
    variables.putAll(build.env.allVariables())
    variables.putAll(WORKSPACE: workspace.path, STAGE_NAME: build.stage, BUILD_NUMBER: build.currentBuild.number.toString())
    def log = new File("${build.job.log}")
    log << "--- ${build.job.name}: ${build.stage}\n"
    def kept = File.createTempFile('out', '.txt')
    builder.redirectError(ProcessBuilder.Redirect.appendTo(log))
    builder.redirectOutput(keepOutput ? ProcessBuilder.Redirect.to(kept) : ProcessBuilder.Redirect.appendTo(log))
    builder.redirectInput(ProcessBuilder.Redirect.from(new File('/dev/null')))
    def running = builder.start()
    boolean stopped = _watched(running)
    int status = running.waitFor()
    file.delete()
    def out = kept.getText('UTF-8')
    kept.delete()
    if (stopped) {
      build.tell "sh was stopped, its status ${status}"
      throw new Interrupted('Aborted by a person')
    }
    [status, out]
  }

  /** Waits for the mark that the test names, then does what Jenkins does: SIGTERM to every process of the step. */
  boolean _watched(Process running) {
    def abort = build.job.abort
    if (!abort || abort.stage != build.stage) { return false }
    def mark = new File(abort.when as String)
    while (running.alive && !mark.exists()) { sleep(20) }
    if (!running.alive) { throw new Refused("${build.stage} ended before it could be aborted") }
    (running.descendants().toArray() as List).each { it.destroy() }
    running.destroy()
    true
  }

  Map checkout(Map source) {
    def remote = source.userRemoteConfigs[0].url
    def wanted = source.branches[0].name
    if (source.containsKey('$class')) { Refused.only('checkout', source, ['$class', 'branches', 'extensions', 'userRemoteConfigs']) }
    def target = _place('.').canonicalFile
    if (!new File(target, '.git').exists()) { _git(target, 'clone', '--quiet', '--no-checkout', remote, '.') }
    _git(target, 'fetch', '--quiet', '--force', 'origin', '+refs/heads/*:refs/remotes/origin/*')
    def commit = source.commit ?: build.job.scm.commit
    if (!commit) {
      def name = wanted ==~ /[0-9a-f]{40}/ ? wanted : "refs/remotes/origin/${wanted}"
      commit = _git(target, 'rev-parse', '--verify', "${name}^{commit}").trim()
    }
    _git(target, 'checkout', '--quiet', '--force', '--detach', commit)
    build.tell "checkout ${commit}"
    [GIT_COMMIT: commit, GIT_BRANCH: "origin/${wanted}".toString(), GIT_URL: remote]
  }

  static String _git(File where, String... words) {
    def done = new ProcessBuilder(['git', *words]).directory(where).redirectErrorStream(true).start()
    def out = done.inputStream.getText('UTF-8')
    if (done.waitFor() != 0) { throw new StepFailed("git ${words[0]}: ${out.trim()}") }
    out
  }

  List<String> _matching(String patterns) {
    def root = _place('.').canonicalPath
    patterns.split(',').collectMany { new FileNameFinder().getFileNames(root, it.trim()) }.unique().sort().collect { it - "${root}/" }
  }

  void archiveArtifacts(Map m) {
    Refused.only('archiveArtifacts', m, ['artifacts', 'allowEmptyArchive', 'fingerprint', 'excludes'], ['artifacts'])
    def files = _matching(m.artifacts as String)
    if (!files && !m.allowEmptyArchive) { throw new StepFailed("no artifacts found for ${m.artifacts}") }
    files.each { path -> _copy(path, new File("${build.job.artifacts}/${path}")) }
    build.tell "archive ${files.collect { it.tokenize('/').last() }.unique().sort()}"
  }

  void _copy(String path, File target) {
    target.parentFile.mkdirs()
    target.bytes = _place(path).bytes
  }

  void junit(Map m) {
    Refused.only('junit', m, ['testResults', 'allowEmptyResults', 'skipMarkingBuildUnstable'], ['testResults'])
    def suites = _matching(m.testResults as String).collect { new XmlSlurper().parse(_place(it)) }
    if (!suites && !m.allowEmptyResults) { throw new StepFailed('no test report files were found') }
    def cases = suites.collectMany { it.'**'.findAll { node -> node.name() == 'testcase' } }
    int bad = cases.count { it.failure.size() || it.error.size() }
    build.tell "junit ${cases.size()} tests, ${bad} failed"
    if (bad && !m.skipMarkingBuildUnstable) { build.currentBuild.result = 'UNSTABLE' }
  }

  void stash(Map m) {
    Refused.only('stash', m, ['name', 'includes', 'allowEmpty'], ['name', 'includes'])
    def files = _matching(m.includes as String)
    if (!files && !m.allowEmpty) { throw new StepFailed("no files included in stash ${m.name}") }
    files.each { _copy(it, new File("${build.job.stashes}/${m.name}/${it}")) }
    build.tell "stash ${m.name}: ${files.size()} files"
  }

  void unstash(String name) {
    def root = new File("${build.job.stashes}/${name}")
    if (!root.isDirectory()) { throw new StepFailed("No such saved stash '${name}'") }
    root.eachFileRecurse(FileType.FILES) { file ->
      def target = _place(file.path - "${root.path}/")
      target.parentFile.mkdirs()
      target.bytes = file.bytes
    }
    build.tell "unstash ${name}"
  }

  // Bindings: each knows which kind of credential it wants and which variables it sets.
  Map usernamePassword(Map m) { _bind('usernamePassword', m, [usernameVariable: 'username', passwordVariable: 'password']) }
  Map sshUserPrivateKey(Map m) { _bind('sshUserPrivateKey', m, [keyFileVariable: 'key', usernameVariable: 'username', passphraseVariable: 'passphrase']) }
  Map file(Map m) { _bind('file', m, [variable: 'content']) }

  static Map _bind(String kind, Map m, Map<String, String> variables) {
    Refused.only(kind, m, ['credentialsId'] + (variables.keySet() as List), ['credentialsId'])
    [kind: kind, id: m.credentialsId, variables: variables.findAll { k, v -> m[k] }.collectEntries { k, v -> [m[k], v] }]
  }

  Object withCredentials(List bindings, Closure body) {
    def set = [:]
    def secrets = []
    bindings.each { binding ->
      // `string` is a parameter elsewhere; here it is a secret text.
      def one = binding.containsKey('id') ? binding : [kind: 'string', id: binding.credentialsId, variables: [(binding.variable): 'secret']]
      def known = build.job.credentials?.get(one.id)
      if (!known) { throw new StepFailed("Could not find credentials entry with ID '${one.id}'") }
      if (known.kind != one.kind) { throw new StepFailed("Credentials '${one.id}' is of kind ${known.kind}, not ${one.kind}") }
      one.variables.each { variable, field ->
        set[variable] = field in ['content', 'key'] ? _written(known[field] as String, secrets) : known[field]
      }
    }
    build.tell "credentials ${bindings.collect { it.id ?: it.credentialsId }}"
    build.env.layer(set)
    try { body.call() } finally {
      build.env.unlayer()
      secrets*.delete()
    }
  }

  static String _written(String content, List<File> secrets) {
    def file = Files.createTempFile('secret', '').toFile()
    file.setText(content, 'UTF-8')
    secrets << file
    file.path
  }
}
