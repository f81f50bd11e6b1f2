package main

import (
	"fmt"
	"os"
	"regexp"
	"sort"
	"strings"
	"sync"
	"time"
)

// TF Serving's: microseconds, Buckets::Exponential(10, 1.8, 33).
var bounds = func() []float64 {
	made := []float64{10}
	for len(made) < 33 {
		made = append(made, made[len(made)-1]*1.8)
	}
	return made
}()

type histogram struct {
	buckets [34]int
	count   int
	sum     float64
}

type counters struct {
	mutex    sync.Mutex
	requests map[string]int
	latency  map[string]*histogram // by entrypoint
	runtime  histogram
}

// One request; TF Serving measures the latency of those that went well.
func (c *counters) add(entrypoint string, status string, took time.Duration) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.requests == nil {
		c.requests, c.latency = map[string]int{}, map[string]*histogram{}
	}
	c.requests[status]++
	if status != "OK" {
		return
	}
	one := c.latency[entrypoint]
	if one == nil {
		one = &histogram{}
		c.latency[entrypoint] = one
	}
	one.add(float64(took.Nanoseconds()) / 1e3)
	c.runtime.add(float64(took.Nanoseconds()) / 1e3)
}

func (h *histogram) add(micros float64) {
	h.buckets[sort.SearchFloat64s(bounds, micros)]++
	h.count++
	h.sum += micros
}

func (c *counters) text(model string) string {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	var text strings.Builder
	text.WriteString("# TYPE :tensorflow:serving:request_count counter\n")
	for status, count := range c.requests {
		fmt.Fprintf(&text, ":tensorflow:serving:request_count{model_name=%q,status=%q} %d\n", model, status, count)
	}
	text.WriteString("# TYPE :tensorflow:serving:request_latency histogram\n")
	for entrypoint, one := range c.latency {
		labels := fmt.Sprintf("model_name=%q,API=\"predict\",entrypoint=%q", model, entrypoint)
		one.write(&text, ":tensorflow:serving:request_latency", labels)
	}
	text.WriteString("# TYPE :tensorflow:serving:runtime_latency histogram\n")
	labels := fmt.Sprintf("model_name=%q,API=\"predict\",runtime=\"TF1\"", model)
	c.runtime.write(&text, ":tensorflow:serving:runtime_latency", labels)
	return text.String()
}

func (h *histogram) write(text *strings.Builder, name string, labels string) {
	total := 0
	for place, bound := range bounds {
		total += h.buckets[place]
		fmt.Fprintf(text, "%s_bucket{%s,le=\"%g\"} %d\n", name, labels, bound, total)
	}
	fmt.Fprintf(text, "%s_bucket{%s,le=\"+Inf\"} %d\n", name, labels, h.count)
	fmt.Fprintf(text, "%s_sum{%s} %g\n%s_count{%s} %d\n", name, labels, h.sum, name, labels, h.count)
}

// Where the file of --monitoring_config_file wants the metrics; without it there are none.
func metricsPath(file string) string {
	text, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(text), "enable: true") {
		return ""
	}
	found := regexp.MustCompile(`path:\s*"([^"]+)"`).FindSubmatch(text)
	if found == nil {
		return "/monitoring/prometheus/metrics"
	}
	return string(found[1])
}
