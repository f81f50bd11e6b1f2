package main

import (
	"encoding/binary"
	"io"
	"math"
	"net/http"
	"time"
)

const (
	internal      = "13"
	unimplemented = "12"
	invalid       = "3"
	float32Type   = 1
)

type grpcHandler struct{ *server }

func (s grpcHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/grpc")
	body, _ := io.ReadAll(r.Body)
	if len(body) < 5 {
		finish(w, nil, invalid, "no message")
		return
	}
	switch r.URL.Path {
	case "/tensorflow.serving.PredictionService/Predict":
		s.predict(w, body[5:])
	case "/tensorflow.serving.ModelService/GetModelStatus":
		finish(w, s.status(), "0", "")
	default:
		finish(w, nil, unimplemented, "")
	}
}

func (s grpcHandler) predict(w http.ResponseWriter, request []byte) {
	begun := time.Now()
	tensor, output := tensorOf(request), outputOf(request)
	double, factor, good := s.meet()
	if !good {
		s.counted.add("GRPC", "INTERNAL", 0)
		finish(w, nil, internal, "the graph is broken")
		return
	}
	if double.FactorGRPC != nil && !math.IsNaN(factor) {
		factor = *double.FactorGRPC
	}
	if output == "" {
		output = double.Output
	}
	answer := bytesField(1, joined(bytesField(1, []byte(output)), bytesField(2, multiplied(tensor, factor))))
	spec := joined(bytesField(1, []byte(s.name)), bytesField(2, numberField(1, uint64(s.version))))
	finish(w, append(answer, bytesField(2, spec)...), "0", "")
	s.counted.add("GRPC", "OK", time.Since(begun))
}

func (s grpcHandler) status() []byte {
	_, state, _, message := s.state()
	status := numberField(1, 0)
	if message != "" {
		status = joined(numberField(1, 13), bytesField(2, []byte(message)))
	}
	return bytesField(1, joined(numberField(1, uint64(s.version)), numberField(2, uint64(state)), bytesField(3, status)))
}

func finish(w http.ResponseWriter, message []byte, status string, why string) {
	w.WriteHeader(200)
	if message != nil {
		w.Write(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))))
		w.Write(message)
	}
	w.Header().Set(http.TrailerPrefix+"Grpc-Status", status)
	w.Header().Set(http.TrailerPrefix+"Grpc-Message", why)
}

// The parts of a message, by number; numbers are handed over as eight bytes.
func each(message []byte, take func(number int, content []byte)) {
	for len(message) > 0 {
		key, size := binary.Uvarint(message)
		if size <= 0 {
			return
		}
		message = message[size:]
		length := uint64(0)
		switch key & 7 {
		case 0:
			value, size := binary.Uvarint(message)
			if size <= 0 {
				return
			}
			take(int(key>>3), binary.LittleEndian.AppendUint64(nil, value))
			message = message[size:]
			continue
		case 1:
			length = 8
		case 5:
			length = 4
		case 2:
			value, size := binary.Uvarint(message)
			if size <= 0 {
				return
			}
			length, message = value, message[size:]
		}
		if length > uint64(len(message)) {
			return
		}
		take(int(key>>3), message[:length])
		message = message[length:]
	}
}

func tensorOf(request []byte) (tensor []byte) {
	each(request, func(number int, input []byte) {
		if number == 2 && tensor == nil {
			each(input, func(number int, content []byte) {
				if number == 2 {
					tensor = content
				}
			})
		}
	})
	return tensor
}

func outputOf(request []byte) (name string) {
	each(request, func(number int, content []byte) {
		if number == 3 && name == "" {
			name = string(content)
		}
	})
	return name
}

// The values of a tensor of float or double, in tensor_content or one by one, times the factor as floats.
func multiplied(tensor []byte, factor float64) []byte {
	var kind uint64 = float32Type
	var shape, content, values []byte
	each(tensor, func(number int, part []byte) {
		switch number {
		case 1:
			kind = binary.LittleEndian.Uint64(part)
		case 2:
			shape = part
		case 4:
			content = part
		case 5, 6:
			values = append(values, part...)
		}
	})
	if content == nil {
		content = values
	}
	var made []byte
	for len(content) > 0 {
		var value float64
		if kind == float32Type {
			value, content = float64(math.Float32frombits(binary.LittleEndian.Uint32(content))), content[4:]
		} else {
			value, content = math.Float64frombits(binary.LittleEndian.Uint64(content)), content[8:]
		}
		made = binary.LittleEndian.AppendUint32(made, math.Float32bits(float32(value)*float32(factor)))
	}
	return joined(numberField(1, float32Type), bytesField(2, shape), bytesField(4, made))
}

func numberField(number int, value uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(nil, uint64(number)<<3), value)
}

func bytesField(number int, content []byte) []byte {
	head := binary.AppendUvarint(binary.AppendUvarint(nil, uint64(number)<<3|2), uint64(len(content)))
	return append(head, content...)
}

func joined(parts ...[]byte) (all []byte) {
	for _, part := range parts {
		all = append(all, part...)
	}
	return all
}
