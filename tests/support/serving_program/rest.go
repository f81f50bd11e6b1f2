package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"sort"
	"strconv"
	"strings"
	"time"
)

var nan = math.NaN()

type restHandler struct{ *server }

func (s restHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	model := "/v1/models/" + s.name
	path := strings.Replace(r.URL.Path, fmt.Sprintf("%s/versions/%d", model, s.version), model, 1)
	switch {
	case r.URL.Path == "/double" && r.Method == "PUT":
		s.change(w, r)
	case s.metrics != "" && r.URL.Path == s.metrics:
		io.WriteString(w, s.counted.text(s.name))
	case path == model && r.Method == "GET":
		s.status(w)
	case path == model+"/metadata" && r.Method == "GET":
		s.metadata(w)
	case path == model+":predict" && r.Method == "POST":
		s.predict(w, r)
	default:
		answer(w, 404, `{"error": "Malformed request: `+r.Method+" "+r.URL.Path+`"}`)
	}
}

// TF Serving has no such path: a test changes here what a running copy does.
func (s restHandler) change(w http.ResponseWriter, r *http.Request) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if err := json.NewDecoder(r.Body).Decode(&s.double); err != nil {
		answer(w, 400, `{"error": "not JSON"}`)
		return
	}
	answer(w, 200, "{}")
}

func (s *server) state() (string, int, string, string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	switch s.double.Fault {
	case "error":
		return "END", 50, "INTERNAL", "the graph is broken"
	case "loading":
		return "LOADING", 20, "OK", ""
	}
	return "AVAILABLE", 30, "OK", ""
}

func (s restHandler) status(w http.ResponseWriter) {
	state, _, code, message := s.state()
	answer(w, 200, fmt.Sprintf(`{
 "model_version_status": [
  {
   "version": "%d",
   "state": "%s",
   "status": {
    "error_code": "%s",
    "error_message": "%s"
   }
  }
 ]
}
`, s.version, state, code, message))
}

// As TF Serving: the signatures of a version are told only while it can answer.
func (s restHandler) metadata(w http.ResponseWriter) {
	if state, _, _, _ := s.state(); state != "AVAILABLE" {
		answer(w, 404, fmt.Sprintf(`{"error": "Servable not found for request: Specific(%s, %d)"}`, s.name, s.version))
		return
	}
	answer(w, 200, fmt.Sprintf(`{"model_spec": {"name": "%s", "signature_name": "", "version": "%d"}, "metadata": {"signature_def": {"signature_def": {}}}}`, s.name, s.version))
}

func (s restHandler) predict(w http.ResponseWriter, r *http.Request) {
	begun := time.Now()
	var body struct {
		Instances []any `json:"instances"`
		Inputs    any   `json:"inputs"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || (body.Instances == nil && body.Inputs == nil) {
		s.counted.add("REST", "INVALID_ARGUMENT", 0)
		answer(w, 400, `{"error": "Missing 'inputs' or 'instances' key"}`)
		return
	}
	_, factor, good := s.meet()
	if !good {
		s.counted.add("REST", "INTERNAL", 0)
		answer(w, 500, `{"error": "the graph is broken"}`)
		return
	}
	var text strings.Builder
	if body.Instances != nil {
		write(&text, body.Instances, factor)
		answer(w, 200, `{"predictions": `+text.String()+`}`)
	} else {
		write(&text, body.Inputs, factor)
		answer(w, 200, `{"outputs": `+text.String()+`}`)
	}
	s.counted.add("REST", "OK", time.Since(begun))
}

// Numbers times the factor; of an instance with several inputs, the first by name.
func write(text *strings.Builder, value any, factor float64) {
	switch value := value.(type) {
	case []any:
		text.WriteByte('[')
		for place, one := range value {
			if place > 0 {
				text.WriteString(", ")
			}
			write(text, one, factor)
		}
		text.WriteByte(']')
	case map[string]any:
		names := make([]string, 0, len(value))
		for name := range value {
			names = append(names, name)
		}
		sort.Strings(names)
		write(text, value[names[0]], factor)
	case float64:
		product := float32(value) * float32(factor)
		if math.IsNaN(float64(product)) {
			text.WriteString("NaN") // as TF Serving writes it
		} else {
			text.WriteString(strconv.FormatFloat(float64(product), 'g', -1, 32))
		}
	default:
		text.WriteString("0")
	}
}

func answer(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	io.WriteString(w, body)
}
