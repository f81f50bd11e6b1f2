// A model server as small as can be, with TF Serving's paths, for pods of tests: it multiplies, and fails as it is told.
//
// It serves the newest number in MODEL_BASE_PATH/MODEL_NAME and does what that model's own `double.json` says. Like TF
// Serving it opens its ports when the model is loaded, and does not hear SIGTERM.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Double is what a model's `double.json` may say. Fault is one of: exit, never, loading, error, memory, disk (from the
// start); errors, nan, hang, exit-later, memory-later (when asked, or AfterSeconds after it was loaded).
type Double struct {
	Factor       float64  `json:"factor"`
	FactorGRPC   *float64 `json:"factor_grpc"`
	Output       string   `json:"output"`
	Fault        string   `json:"fault"`
	Share        float64  `json:"share"` // of the requests that meet the fault
	AfterSeconds float64  `json:"after_seconds"`
	LoadSeconds  float64  `json:"load_seconds"`
	LatencyMS    float64  `json:"latency_ms"`
}

type server struct {
	name    string
	version int
	metrics string // the path, "" without --monitoring_config_file
	begun   time.Time
	mutex   sync.Mutex
	double  Double
	asked   int
	counted counters
}

var kept [][]byte

func main() {
	signal.Ignore(syscall.SIGTERM)
	flags := flagsOf(os.Args[1:])
	s := &server{name: valueOf(flags, "model_name", os.Getenv("MODEL_NAME"))}
	base := filepath.Join(valueOf(nil, "", os.Getenv("MODEL_BASE_PATH"), "/models"), s.name)
	folder := valueOf(flags, "model_base_path", base)
	s.version = newest(folder)
	s.double = read(filepath.Join(folder, strconv.Itoa(s.version), "double.json"))
	s.metrics = metricsPath(flags["monitoring_config_file"])
	fmt.Printf("serving %s %d as %d\n", s.name, s.version, os.Getuid())
	s.load()
	go listen(":"+valueOf(flags, "port", "8500"), grpcHandler{s}, true)
	listen(":"+valueOf(flags, "rest_api_port", "8501"), restHandler{s}, false)
}

func flagsOf(words []string) map[string]string {
	found := map[string]string{}
	for _, word := range words {
		name, value, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
		found[name] = value
	}
	return found
}

func valueOf(flags map[string]string, name string, others ...string) string {
	for _, value := range append([]string{flags[name]}, others...) {
		if value != "" {
			return value
		}
	}
	return ""
}

func newest(folder string) int {
	version := 0
	entries, err := os.ReadDir(folder)
	if err != nil {
		log.Fatal(err)
	}
	for _, entry := range entries {
		if number, err := strconv.Atoi(entry.Name()); err == nil && number > version {
			version = number
		}
	}
	return version
}

func read(path string) Double {
	double := Double{Factor: 1, Share: 1, Output: "y"}
	if text, err := os.ReadFile(path); err == nil {
		if err := json.Unmarshal(text, &double); err != nil {
			log.Fatal(err)
		}
	}
	if text := os.Getenv("DOUBLE"); text != "" {
		if err := json.Unmarshal([]byte(text), &double); err != nil {
			log.Fatal(err)
		}
	}
	return double
}

// What happens before a port is open.
func (s *server) load() {
	if s.double.Fault == "disk" {
		fill("/tmp/filled")
	}
	time.Sleep(time.Duration(s.double.LoadSeconds * float64(time.Second)))
	switch s.double.Fault {
	case "exit":
		log.Fatal("the model cannot be served: it is a teapot")
	case "never":
		time.Sleep(time.Duration(1 << 62)) // an empty select would be found out: no goroutine is awake
	case "memory":
		for {
			eat(64 << 20)
		}
	}
	s.begun = time.Now()
}

func eat(size int) {
	block := make([]byte, size)
	for place := 0; place < size; place += 4096 {
		block[place] = 1
	}
	kept = append(kept, block)
}

func fill(path string) {
	file, err := os.Create(path)
	if err != nil {
		log.Fatal(err)
	}
	if err := syscall.Fallocate(int(file.Fd()), 0, 0, 1500<<20); err != nil {
		log.Fatal(err)
	}
	file.Close()
}

// The fault that the next request meets, "" for none.
func (s *server) next() (Double, string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	double := s.double
	if time.Since(s.begun).Seconds() < double.AfterSeconds {
		double.LatencyMS = 0
		return double, ""
	}
	s.asked++
	if int(float64(s.asked)*double.Share) == int(float64(s.asked-1)*double.Share) {
		return double, ""
	}
	return double, double.Fault
}

// Meets the fault of one request; false when it must be answered with an error.
func (s *server) meet() (Double, float64, bool) {
	double, fault := s.next()
	time.Sleep(time.Duration(double.LatencyMS * float64(time.Millisecond)))
	switch fault {
	case "errors":
		return double, 0, false
	case "nan":
		return double, nan, true
	case "hang":
		select {}
	case "exit-later":
		os.Exit(1)
	case "memory-later":
		for {
			eat(64 << 20)
		}
	}
	return double, double.Factor, true
}

func listen(address string, handler http.Handler, grpc bool) {
	web := &http.Server{Addr: address, Handler: handler}
	if grpc {
		web.Protocols = new(http.Protocols)
		web.Protocols.SetUnencryptedHTTP2(true)
	}
	log.Fatal(web.ListenAndServe())
}
