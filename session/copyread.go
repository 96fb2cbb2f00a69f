package session

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/heliosdb/helios/types"
)

// copyLineMax bounds a line of COPY FROM.
const copyLineMax = 256 << 20

// copyReader turns the bytes of COPY FROM in text or CSV into fields, line by line.
type copyReader struct {
	in     *bufio.Reader
	format *copyFormat
	table  string // for the error context
	line   int    // of the last line read, from 1
	raw    []byte // the last line without its end
	fields []field
	text   []byte // unescaped bytes that fields point into

	ending  string // "\n", "\r\n" or "\r", fixed by the first line
	notNull []bool // FORCE_NOT_NULL by column
	nulled  []bool // FORCE_NULL by column
}

// field is one field of a line: its bytes, or NULL.
type field struct {
	start, end int // in copyReader.text
	null       bool
}

func newCopyReader(in io.Reader, f *copyFormat, table string) *copyReader {
	return &copyReader{in: bufio.NewReaderSize(in, 64<<10), format: f, table: table}
}

// next reads the next line and splits it; io.EOF after the last.
func (r *copyReader) next() error {
	if err := r.readLine(); err != nil {
		return err
	}
	if !utf8.Valid(r.raw) {
		return r.fail(invalidUTF8(r.raw), "-")
	}
	if bytes.IndexByte(r.raw, 0) >= 0 {
		return r.fail(types.Errorf("22021", "invalid byte sequence for encoding \"UTF8\": 0x00"), "-")
	}
	r.fields, r.text = r.fields[:0], r.text[:0]
	if r.format.csv {
		return r.splitCSV()
	}
	return r.splitText()
}

func invalidUTF8(b []byte) *types.Error {
	for len(b) > 0 {
		c, size := utf8.DecodeRune(b)
		if c == utf8.RuneError && size == 1 {
			break
		}
		b = b[size:]
	}
	bad := fmt.Sprintf("0x%02x", b[0])
	return types.Errorf("22021", "invalid byte sequence for encoding \"UTF8\": %s", bad)
}

// readLine reads a line into raw; a line of CSV goes on while a quote is open. "\." alone
// ends the data.
func (r *copyReader) readLine() error {
	r.raw = r.raw[:0]
	r.line++
	inQuotes := false
	for {
		piece, err := r.readPiece()
		if err != nil && (!errors.Is(err, io.EOF) || len(piece) == 0 && len(r.raw) == 0) {
			return err
		}
		start := len(r.raw)
		r.raw = append(r.raw, piece...)
		if len(r.raw) > copyLineMax {
			return r.fail(types.Errorf("54000", "line of COPY is too long"), "-")
		}
		body := trimEnding(r.raw[start:])
		if start == 0 && string(body) == `\.` {
			return r.drain()
		}
		if r.format.csv {
			inQuotes = r.quotesOpen(body, inQuotes)
		}
		if err == nil && (inQuotes || !r.format.csv && escapedEnd(body)) {
			r.line++
			continue
		}
		ending := r.raw[start+len(body):]
		r.raw = r.raw[:start+len(body)]
		if inQuotes {
			return r.fail(types.Errorf("22P04", "unterminated CSV quoted field"), "")
		}
		if r.ending == "" {
			r.ending = string(ending)
		}
		return r.checkEnding(string(ending))
	}
}

// readPiece reads up to the end of a physical line, "\n" or, when the first line ended so, "\r".
func (r *copyReader) readPiece() ([]byte, error) {
	if r.ending != "\r" {
		piece, err := r.in.ReadBytes('\n')
		if i := bytes.IndexByte(piece, '\r'); r.ending == "" && i >= 0 && i < len(piece)-2 && !r.format.csv {
			return r.loneCR(piece, i)
		}
		return piece, err
	}
	return r.in.ReadBytes('\r')
}

// loneCR finds that the lines of the data end in "\r": the rest of the piece is put back.
func (r *copyReader) loneCR(piece []byte, i int) ([]byte, error) {
	r.in = bufio.NewReaderSize(io.MultiReader(bytes.NewReader(piece[i+1:]), r.in), 64<<10)
	return piece[:i+1], nil
}

func trimEnding(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\n' {
		line = line[:n-1]
		if n > 1 && line[n-2] == '\r' {
			line = line[:n-2]
		}
	} else if n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line
}

// checkEnding refuses a line that ends otherwise than the first did.
func (r *copyReader) checkEnding(ending string) error {
	if ending == "" || ending == r.ending {
		return nil
	}
	word, name, escape := "literal", "newline", `\n`
	if ending != "\n" {
		name, escape = "carriage return", `\r`
	}
	hint := fmt.Sprintf("Use \"%s\" to represent %s.", escape, name)
	if r.format.csv {
		word, hint = "unquoted", fmt.Sprintf("Use quoted CSV field to represent %s.", name)
	}
	return r.fail(types.Errorf("22P04", "%s %s found in data", word, name).WithHint("%s", hint), "-")
}

// quotesOpen tells whether a quote is open after the line.
func (r *copyReader) quotesOpen(line []byte, open bool) bool {
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case open && c == r.format.escape && r.format.escape != r.format.quote && i+1 < len(line):
			if next := line[i+1]; next == r.format.quote || next == r.format.escape {
				i++
			}
		case c == r.format.quote:
			open = !open
		}
	}
	return open
}

// drain skips what follows "\.".
func (r *copyReader) drain() error {
	if _, err := io.Copy(io.Discard, r.in); err != nil {
		return err
	}
	return io.EOF
}

func (r *copyReader) add(start int, null bool) {
	r.fields = append(r.fields, field{start: start, end: len(r.text), null: null})
}

// splitText splits a line of the text format and undoes its backslashes.
func (r *copyReader) splitText() error {
	line, start, from := r.raw, 0, 0
	for i := 0; ; i++ {
		if i == len(line) || line[i] == r.format.delimiter {
			r.add(start, string(line[from:i]) == r.format.null)
			if i == len(line) {
				return nil
			}
			start, from = len(r.text), i+1
			continue
		}
		switch {
		case line[i] == '\r':
			return r.checkEnding("\r")
		case line[i] != '\\' || i+1 == len(line):
			r.text = append(r.text, line[i])
			continue
		case i == 0 && line[1] == '.':
			return r.fail(types.Errorf("22P04", "end-of-copy marker corrupt"), "-")
		}
		i++
		i += r.unescape(line[i:]) - 1
	}
}

// unescape appends the meaning of what follows a backslash and tells how long it was.
func (r *copyReader) unescape(s []byte) int {
	switch c := s[0]; {
	case c >= '0' && c <= '7':
		n, v := 0, 0
		for n < 3 && n < len(s) && s[n] >= '0' && s[n] <= '7' {
			v = v*8 + int(s[n]-'0')
			n++
		}
		r.text = append(r.text, byte(v))
		return n
	case c == 'x' && len(s) > 1 && hexValue(s[1]) >= 0:
		n, v := 1, 0
		for n < 3 && n < len(s) && hexValue(s[n]) >= 0 {
			v = v*16 + hexValue(s[n])
			n++
		}
		r.text = append(r.text, byte(v))
		return n
	}
	if i := bytes.IndexByte([]byte("bfnrtv"), s[0]); i >= 0 {
		r.text = append(r.text, "\b\f\n\r\t\v"[i])
	} else {
		r.text = append(r.text, s[0])
	}
	return 1
}

func hexValue(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// splitCSV splits a line of the CSV format; quotes may open in the midst of a field.
func (r *copyReader) splitCSV() error {
	line, start, from, quoted, open := r.raw, 0, 0, false, false
	for i := 0; ; i++ {
		if i == len(line) || !open && line[i] == r.format.delimiter {
			r.add(start, r.csvNull(line[from:i], quoted, len(r.fields), r.text[start:]))
			if i == len(line) {
				return nil
			}
			start, from, quoted = len(r.text), i+1, false
			continue
		}
		c := line[i]
		switch {
		case open && c == r.format.escape && i+1 < len(line) && (line[i+1] == r.format.quote || line[i+1] == r.format.escape):
			i++
			r.text = append(r.text, line[i])
		case c == r.format.quote:
			open, quoted = !open, true
		case c == '\r' && !open:
			return r.checkEnding("\r")
		default:
			r.text = append(r.text, c)
		}
	}
}

func (r *copyReader) csvNull(raw []byte, quoted bool, column int, value []byte) bool {
	if quoted {
		return column < len(r.nulled) && r.nulled[column] && string(value) == r.format.null
	}
	if column < len(r.notNull) && r.notNull[column] {
		return false
	}
	return string(raw) == r.format.null
}

// fail adds PostgreSQL's error context: the column and its value, or the line. Column ""
// shows the line, "-" the line's number alone.
func (r *copyReader) fail(err error, column string) error {
	e := *types.AsError(err)
	if e.Where != "" {
		return &e
	}
	where := fmt.Sprintf("COPY %s, line %d", r.table, r.line)
	switch {
	case column == "":
		where += fmt.Sprintf(": \"%s\"", shorten(r.raw))
	case column != "-":
		where += ", column " + column
	}
	e.Where = where
	return &e
}

// failField is fail for a column's value.
func (r *copyReader) failField(err error, column string, f field) error {
	if f.null {
		return r.fail(err, column+": null input")
	}
	return r.fail(err, fmt.Sprintf("%s: \"%s\"", column, shorten(r.text[f.start:f.end])))
}

// shorten cuts what an error context shows to 100 bytes.
func shorten(b []byte) []byte {
	const shown = 100
	if len(b) <= shown {
		return b
	}
	end := shown
	for end > 0 && !utf8.RuneStart(b[end]) {
		end--
	}
	return append(bytes.Clone(b[:end]), "..."...)
}

// escapedEnd tells whether a line ends in a backslash that escapes its newline.
func escapedEnd(line []byte) bool {
	n := 0
	for n < len(line) && line[len(line)-1-n] == '\\' {
		n++
	}
	return n%2 == 1
}
