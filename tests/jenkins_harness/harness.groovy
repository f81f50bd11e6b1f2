// Runs one build as a JSON document describes it; prints its trace, its result and what it started as one JSON object.
import groovy.json.*
import org.codehaus.groovy.control.*

def loader = new GroovyClassLoader(getClass().classLoader)
def unit = new CompilationUnit(loader)
new File(args[0]).eachFileMatch(~/.*\.groovy/) { unit.addSource(it) }
unit.compile(Phases.CLASS_GENERATION)
unit.classes.each { loader.defineClass(it.name, it.bytes) }

def job = new JsonSlurper().parse(new File(args[1]), 'UTF-8')
def trace = []
def build = loader.loadClass('Build').newInstance(job, trace)
String refused = ''
try {
  build.run()
} catch (Throwable e) {
  def cause = e
  while (cause.cause) { cause = cause.cause }
  def at = cause.stackTrace.find { it.fileName == 'WorkflowScript' }
  refused = "${cause.class.simpleName}: ${cause.message}${at ? ' (line ' + at.lineNumber + ')' : ''}"
}
println JsonOutput.toJson([trace: trace, result: build.currentBuild.currentResult, description: build.currentBuild.description,
                           refused: refused, starts: build.starts])
System.exit(refused ? 1 : 0)
